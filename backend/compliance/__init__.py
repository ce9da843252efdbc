"""Controls as data, checked all the time, and the waivers that they admit."""
