"""What operators type: it puts the parts together, starts them, and owns the migrations."""
