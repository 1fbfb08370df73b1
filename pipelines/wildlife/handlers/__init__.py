"""The functions of AWS: one thin module a state, with nothing in it but the state's name."""
