"""A program of another repository: a model beside what that team runs already, in the team's own network."""

import pulumi
import pulumi_aws as aws

from gpuwright import AwsInputs, GpuInference

REGION = "eu-central-1"

provider = aws.Provider("frankfurt", region=REGION)

# What the team has: here it is looked up, elsewhere it may come from another stack.
network = pulumi.Config().require_object("network")
pages = aws.sns.Topic("pages", opts=pulumi.ResourceOptions(provider=provider))

summaries = GpuInference(
    "summaries",
    spec={
        "name": "summaries",
        "model": "mistralai/Mistral-7B-v0.1",
        "profile": "7b-online",
        "region": REGION,
        "tags": {"team": "documents"},
    },
    aws=AwsInputs(
        vpc_id=network["vpc_id"],
        vpc_cidr=network["vpc_cidr"],
        private_subnet_ids=network["private_subnet_ids"],
        alarm_topic_arn=pages.arn,
    ),
    opts=pulumi.ResourceOptions(providers=[provider]),
)

pulumi.export("endpoint", summaries.endpoint)
pulumi.export("bucket", summaries.bucket)
pulumi.export("cost_usd_per_hour", summaries.cost_usd_per_hour)
