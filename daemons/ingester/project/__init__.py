"""The project as its operator keeps it: sites, accounts, keys, small files."""
