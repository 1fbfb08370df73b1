"""What a run costs: price books and the formulas of the guard."""
