-- The horizon is that of the statement's own snapshot, whether or not the planner writes the function out: a later one would
-- step over changes that the statement does not see.
ALTER FUNCTION usher_horizon() STABLE;
