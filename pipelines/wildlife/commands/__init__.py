"""The commands of `towpath wildlife`, each loaded when it is named."""
