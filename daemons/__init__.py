"""One folder a daemon, one shape: cli, settings, plan (pure), service, status."""
