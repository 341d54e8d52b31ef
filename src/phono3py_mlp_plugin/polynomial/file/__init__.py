"""Reading and writing of files of polynomial potentials."""
