"""What the head of a picture says of it, format by format. Pure: bytes are asked for by raising."""
