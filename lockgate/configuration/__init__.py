"""What a team writes in environments/ and model/, read into types and checked whole."""
