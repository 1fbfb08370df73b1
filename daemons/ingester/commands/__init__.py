"""The ingester's other commands: `towpath ingester VERB`, a module each, with `main(argv)`."""
