"""What the Makefile's verbs for wildlife runs do on LocalStack and on AWS."""
