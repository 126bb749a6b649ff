"""What a proof will take, before it is made: the prover is run on arrays that have shapes but no contents."""
