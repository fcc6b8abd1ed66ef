"""JSON Schemas as they are given: unwrapped, checked to be schemas, misspelt keywords told."""
