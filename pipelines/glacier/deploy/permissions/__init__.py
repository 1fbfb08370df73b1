"""Who may do what in AWS: documents made from what requests need, and the roles that have them."""
