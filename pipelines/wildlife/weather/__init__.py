"""The weather at the hour of a sighting, from those who measured it; what nobody did stays null."""
