"""What a camera noted beside a picture: times, position, make. Pure."""
