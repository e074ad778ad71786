"""The CDK app: `cdk synth` and `cdk deploy 'dev/*'` run it."""

from pathlib import Path

from stacks.app import main

if __name__ == "__main__":
    main(Path(__file__).resolve().parent)
