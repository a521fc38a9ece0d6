"""What records say: results, tests of the arms, and the sentences that follow from them."""
