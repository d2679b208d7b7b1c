"""What is measured, one file each: `measure(bench)` yields figures as they are found."""
