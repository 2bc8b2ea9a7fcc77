"""What a transformer area and its feeder lose: supplied minus sold, with named causes."""
