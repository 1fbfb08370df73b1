"""The test ground: stand-ins for what the daemons talk to, and the check of what they did."""
