"""Results as text and JSON. Pure: nothing here prints, except to a stream that it was given."""
