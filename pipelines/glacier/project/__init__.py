"""What a project folder says: `config.ini`, `aws_config.ini` and where they lie."""
