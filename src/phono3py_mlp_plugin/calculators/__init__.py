"""Force calculators that come with this package, one file each."""
