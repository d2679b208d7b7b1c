"""What people read and export: sees everything below, changes nothing."""
