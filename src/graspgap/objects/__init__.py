"""What is grasped: procedural prisms, everyday shapes, folders of meshes, and their train and test splits."""
