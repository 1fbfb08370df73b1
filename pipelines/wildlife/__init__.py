"""Wildlife: from the pictures of trail cameras to a table of sightings, within a budget."""
