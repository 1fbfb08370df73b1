"""From a command line to a plan of jobs: flags, what is asked for, routing, the document."""
