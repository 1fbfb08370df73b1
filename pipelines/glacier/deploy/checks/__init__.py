"""What is deployed against what runs need."""
