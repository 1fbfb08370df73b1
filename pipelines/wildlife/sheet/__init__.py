"""Sightings as a sheet, for those who look at them in a spreadsheet program."""
