"""The model cache: private, encrypted, versioned, kept where it must be."""

import json

import deployments
import pulumi
import pytest

from gpuwright.clouds.aws.model_cache import ModelCache
from gpuwright.clouds.aws.naming import bucket_name
from gpuwright.sandbox import Recording, preview_program

ARN = "arn:aws:s3:::team-models"


def cache(*, protected: bool = False, region: str = "us-east-1", preview: bool = False) -> Recording:
    return deployments.alone(
        lambda: ModelCache("cache", region=region, bucket_name="team-models", protected=protected),
        preview=preview,
    )


def test_every_setting_is_of_this_bucket() -> None:
    made = cache()
    settings = [resource for resource in made.resources if resource.short_type.startswith("aws:s3:Bucket")]
    assert {resource.short_type.removeprefix("aws:s3:") for resource in settings} == {
        "Bucket",
        "BucketVersioning",
        "BucketServerSideEncryptionConfiguration",
        "BucketPublicAccessBlock",
        "BucketOwnershipControls",
        "BucketPolicy",
        "BucketLifecycleConfiguration",
    }
    assert {resource.inputs["bucket"] for resource in settings} == {"team-models"}


def test_nothing_of_it_is_public() -> None:
    blocked = cache().one("BucketPublicAccessBlock").inputs
    switches = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    assert all(blocked[switch] is True for switch in switches)
    assert cache().one("BucketOwnershipControls").inputs["rule"] == {"objectOwnership": "BucketOwnerEnforced"}


def test_the_policy_refuses_all_but_tls_1_2_and_is_known_in_a_preview() -> None:
    text = cache(preview=True).one("BucketPolicy").inputs["policy"]
    common = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [ARN, f"{ARN}/*"]}
    assert json.loads(text) == {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "RequireTls", **common, "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            {"Sid": "RequireTls12", **common, "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}}},
        ],
    }


def test_the_policy_names_the_bucket_in_the_partition_of_its_region() -> None:
    for region, arn in (("cn-north-1", "arn:aws-cn:s3:::"), ("us-gov-west-1", "arn:aws-us-gov:s3:::")):
        assert f"{arn}team-models" in cache(region=region).one("BucketPolicy").inputs["policy"]


def test_objects_are_encrypted_with_the_caches_own_rotated_key() -> None:
    made = cache()
    key = made.one("aws:kms:Key")
    assert key.inputs["enableKeyRotation"] is True
    (rule,) = made.one("BucketServerSideEncryptionConfiguration").inputs["rules"]
    assert rule == {
        "applyServerSideEncryptionByDefault": {
            "sseAlgorithm": "aws:kms",
            "kmsMasterKeyId": key.outputs["arn"],
        },
        "bucketKeyEnabled": True,
    }
    assert made.one("aws:kms:Alias").inputs["name"] == "alias/team-models"


def test_old_versions_and_unfinished_uploads_are_cleared_away() -> None:
    made = cache()
    rules = {rule["id"]: rule for rule in made.one("BucketLifecycleConfiguration").inputs["rules"]}
    assert rules["expire-old-versions"]["noncurrentVersionExpiration"] == {"noncurrentDays": 30}
    assert rules["abort-incomplete-uploads"]["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 7}
    assert all(rule["status"] == "Enabled" for rule in rules.values())
    # Without versions there would be none to expire, and S3 would take the rule all the same.
    versioning = made.one("BucketVersioning")
    assert versioning.inputs["versioningConfiguration"] == {"status": "Enabled"}
    assert deployments.depends(made, made.one("BucketLifecycleConfiguration"), versioning)


@pytest.mark.parametrize("protected", [True, False])
def test_only_a_protected_cache_outlives_its_stack(protected: bool) -> None:
    made = cache(protected=protected)
    bucket, key = made.one("aws:s3:Bucket"), made.one("aws:kms:Key")
    assert (bucket.protect, key.protect) == (protected, protected)
    assert bucket.inputs["forceDestroy"] is not protected
    assert key.inputs["deletionWindowInDays"] == (30 if protected else 7)


def named(
    name: str = "chat",
    region: str = "us-east-1",
    account_id: str | None = None,
    project: str = "gpuwright",
    stack: str = "dev",
    organization: str = "acme",
) -> str:
    def program() -> None:
        pulumi.export("name", bucket_name(name, region, account_id))

    recording = preview_program(program, project=project, stack=stack, organization=organization)
    return str(recording.export("name"))


def test_the_buckets_name_is_the_same_each_time_and_another_for_any_other_place() -> None:
    assert named() == named()
    others = [
        named(name="chat-2"),
        named(region="us-west-2"),
        named(account_id="123456789012"),
        named(project="other"),
        named(stack="prod"),
        named(organization="umbrella"),
    ]
    assert len({named(), *others}) == 7


def test_the_longest_name_makes_a_bucket_name_that_s3_takes() -> None:
    assert len(named(name="a" * 24)) <= 63
