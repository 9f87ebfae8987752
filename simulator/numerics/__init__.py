"""Number formats, multiply-accumulates, exact and fast matrix products."""
