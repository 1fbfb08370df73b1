"""The files in which people note what is wrong with their cameras' clocks."""
