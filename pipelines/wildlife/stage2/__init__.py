"""Detections to observations, observations to places, whatever the order in which they come."""
