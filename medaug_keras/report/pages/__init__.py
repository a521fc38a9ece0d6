"""What every page of a study shows, gathered for its template."""
