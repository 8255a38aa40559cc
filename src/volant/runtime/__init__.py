"""All that serving needs: the closed vocabulary of pipeline steps and the predictor that runs them."""
