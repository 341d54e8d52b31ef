"""Ridge regression of the coefficients: targets, forms, penalties, forecast."""
