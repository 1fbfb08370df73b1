"""The function: what is there, what is wanted, and the steps from one to the other."""
