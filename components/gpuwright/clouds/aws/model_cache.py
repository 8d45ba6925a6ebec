"""The model cache: a bucket and its key, from which machines fetch the model they serve."""

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from gpuwright.clouds.aws.naming import named, partition

NONCURRENT_VERSION_DAYS = 30
INCOMPLETE_UPLOAD_DAYS = 7
KEY_DELETION_DAYS = {True: 30, False: 7}
"""How long a deleted key can be brought back, by protection; 7 and 30 are the ends of KMS's range."""


class ModelCache(pulumi.ComponentResource):
    """A private, versioned, encrypted bucket that is read over TLS only."""

    bucket_name: pulumi.Output[str]
    bucket_arn: pulumi.Output[str]
    key_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        region: str,
        bucket_name: pulumi.Input[str],
        protected: bool = False,
        tags: Mapping[str, str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Register the cache.

        Args:
            bucket_name: Unique in the world, without dots, which neither TLS nor the key's alias takes.
            protected: Whether Pulumi refuses to delete bucket and key; otherwise files go with the bucket.
        """
        props = {"region": region, "bucket": bucket_name, "protected": protected}
        super().__init__("gpuwright:aws:ModelCache", name, props, opts)
        self._name, self._tags = name, dict(tags or {})
        self._child = pulumi.ResourceOptions(parent=self)
        self._kept = pulumi.ResourceOptions(parent=self, protect=protected or None)
        self.bucket_name = pulumi.Output.from_input(bucket_name)
        self.bucket_arn = pulumi.Output.format("arn:{0}:s3:::{1}", partition(region), bucket_name)
        key = self._key(protected)
        bucket = self._bucket(protected)
        self._guard(bucket)
        self._encrypt(bucket, key)
        self._keep_versions(bucket)
        self.key_arn = key.arn
        self.register_outputs(
            {"bucket_name": self.bucket_name, "bucket_arn": self.bucket_arn, "key_arn": self.key_arn}
        )

    def _key(self, protected: bool) -> "aws.kms.Key":
        # KMS's default key policy stands: the account's IAM policies say who uses the key, and the only one
        # that we write names this key.
        key = aws.kms.Key(
            f"{self._name}-key",
            description=f"Model cache {self._name}",
            enable_key_rotation=True,
            deletion_window_in_days=KEY_DELETION_DAYS[protected],
            tags=named(self._tags, self._name),
            opts=self._kept,
        )
        aws.kms.Alias(
            f"{self._name}-key",
            name=pulumi.Output.format("alias/{0}", self.bucket_name),
            target_key_id=key.key_id,
            opts=self._child,
        )
        return key

    def _bucket(self, protected: bool) -> "aws.s3.Bucket":
        return aws.s3.Bucket(
            f"{self._name}-bucket",
            bucket=self.bucket_name,
            # What is in it can be fetched again; without protection it must not hold up `pulumi destroy`.
            force_destroy=not protected,
            tags=named(self._tags, self._name),
            opts=self._kept,
        )

    def _guard(self, bucket: "aws.s3.Bucket") -> None:
        """Keep the public out, first, so that the policy is never judged without the block."""
        blocked = aws.s3.BucketPublicAccessBlock(
            f"{self._name}-public-access",
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child,
        )
        after = pulumi.ResourceOptions(parent=self, depends_on=[blocked])
        aws.s3.BucketOwnershipControls(
            f"{self._name}-ownership",
            bucket=bucket.bucket,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=after,
        )
        aws.s3.BucketPolicy(
            f"{self._name}-tls-only",
            bucket=bucket.bucket,
            policy=self.bucket_arn.apply(lambda arn: json.dumps(tls_only(arn))),
            opts=after,
        )

    def _encrypt(self, bucket: "aws.s3.Bucket", key: "aws.kms.Key") -> None:
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{self._name}-encryption",
            bucket=bucket.bucket,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": key.arn,
                    },
                    # One data key a while for the bucket, where each of a model's parts would ask KMS.
                    "bucket_key_enabled": True,
                }
            ],
            opts=self._child,
        )

    def _keep_versions(self, bucket: "aws.s3.Bucket") -> None:
        versioning = aws.s3.BucketVersioning(
            f"{self._name}-versioning",
            bucket=bucket.bucket,
            versioning_configuration={"status": "Enabled"},
            opts=self._child,
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{self._name}-lifecycle",
            bucket=bucket.bucket,
            rules=lifecycle_rules(),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )


def tls_only(bucket_arn: str) -> dict[str, Any]:
    """Return the bucket policy that refuses every request without TLS, or with TLS below 1.2."""

    def deny(sid: str, condition: dict[str, Any]) -> dict[str, Any]:
        resources = [bucket_arn, f"{bucket_arn}/*"]
        base = {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": resources}
        return {**base, "Condition": condition}

    return {
        "Version": "2012-10-17",
        "Statement": [
            deny("RequireTls", {"Bool": {"aws:SecureTransport": "false"}}),
            deny("RequireTls12", {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
        ],
    }


def lifecycle_rules() -> list[dict[str, Any]]:
    """Return the rules that clear away what nobody reads: old versions, and unfinished uploads."""
    return [
        {
            "id": "expire-old-versions",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "noncurrent_version_expiration": {"noncurrent_days": NONCURRENT_VERSION_DAYS},
        },
        {
            "id": "abort-incomplete-uploads",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "abort_incomplete_multipart_upload": {"days_after_initiation": INCOMPLETE_UPLOAD_DAYS},
        },
    ]
