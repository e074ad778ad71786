"""What a file of rows says about the model that could be made of it: pure functions, which `lockgate new` prints."""
