"""Acting in the accounts of sites: roles, sessions, functions, distributions."""
