from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pulumi
import pulumi_aws as aws
import pytest
from pulumi import ResourceOptions
from sandbox_programs import network

from gpuwright.errors import InputError, NothingFitsError
from gpuwright.sandbox import (
    UNKNOWN,
    ProgramError,
    Secret,
    preview_program,
    preview_stack,
)

URN = "urn:pulumi:dev::project::"


def test_every_registered_resource_is_recorded_with_the_urn_that_the_engine_would_give() -> None:
    recording = preview_program(network)
    assert {resource.urn for resource in recording.resources} == {
        f"{URN}pulumi:pulumi:Stack::project-dev",
        f"{URN}demo:index:Network::net",
        f"{URN}demo:index:Network$aws:ec2/vpc:Vpc::net-vpc",
        f"{URN}demo:index:Network$aws:ec2/vpc:Vpc$aws:ec2/subnet:Subnet::net-subnet",
        f"{URN}aws:iam/role:Role::role",
        f"{URN}aws:ec2/launchTemplate:LaunchTemplate::template",
        f"{URN}aws:autoscaling/group:Group::group",
        f"{URN}aws:s3/bucket:Bucket::cache",
    }


def test_a_recording_is_the_same_each_time() -> None:
    first, second = preview_program(network), preview_program(network)
    assert first.resources == second.resources
    assert list(first.exports) == list(second.exports)


def test_children_and_parents_are_found_from_each_other() -> None:
    recording = preview_program(network)
    component = recording.one("Network")
    vpc = recording.one(aws.ec2.Vpc)
    assert recording.children(component) == (vpc,)
    assert recording.parent(vpc) == component
    assert [each.name for each in recording.descendants(component)] == ["net-vpc", "net-subnet"]
    assert recording.parent(component) == recording.root
    assert recording.named("net-subnet") == recording.of_type("aws:ec2:Subnet")


def test_dependencies_are_recorded_whole_and_by_property() -> None:
    recording = preview_program(network)
    vpc, subnet = recording.one("Vpc"), recording.one("Subnet")
    assert subnet.dependencies == (vpc.urn,)
    assert subnet.property_dependencies["vpcId"] == (vpc.urn,)
    assert subnet.property_dependencies["cidrBlock"] == ()
    assert recording.one("Bucket").dependencies == (vpc.urn,)


def test_options_of_a_resource_are_recorded() -> None:
    def program() -> None:
        provider = aws.Provider("ireland", region="eu-west-1")
        aws.ec2.Vpc(
            "vpc",
            cidr_block="10.0.0.0/16",
            opts=ResourceOptions(
                protect=True,
                provider=provider,
                ignore_changes=["tags"],
                replace_on_changes=["cidr_block"],
                aliases=[pulumi.Alias(name="old")],
                retain_on_delete=True,
                delete_before_replace=True,
                additional_secret_outputs=["arn"],
                custom_timeouts=pulumi.CustomTimeouts(create="5m"),
            ),
        )

    recording = preview_program(program)
    vpc, provider = recording.one("Vpc"), recording.one("pulumi:providers:aws")
    assert provider.is_provider
    assert provider.inputs["region"] == "eu-west-1"
    assert vpc.provider.startswith(f"{provider.urn}::")
    assert vpc.protect
    assert vpc.retain_on_delete
    assert vpc.delete_before_replace is True
    assert vpc.ignore_changes == ("tags",)
    assert vpc.replace_on_changes == ("cidrBlock",)
    assert vpc.additional_secret_outputs == ("arn",)
    assert vpc.is_secret("arn")
    assert vpc.custom_timeouts == {"create": "5m"}
    assert "old" in vpc.aliases[0]
    path, _, line = vpc.source_position.rpartition(":")
    assert (path, int(line) > 0) == (__file__, True)


def test_a_resource_without_a_provider_of_its_own_names_the_default_one_of_its_sdk() -> None:
    vpc = preview_program(network).one("Vpc")
    assert vpc.provider.startswith(f"{URN}pulumi:providers:aws::default_7_")


def test_in_a_preview_only_what_the_cloud_adds_is_unknown() -> None:
    recording = preview_program(network)
    vpc, subnet = recording.one("Vpc"), recording.one("Subnet")
    assert vpc.id is UNKNOWN
    assert vpc.outputs["arn"] is UNKNOWN
    assert vpc.outputs["cidrBlock"] == "10.0.0.0/16"
    assert subnet.inputs == {"cidrBlock": "10.0.1.0/24", "vpcId": UNKNOWN}
    assert subnet.is_unknown("vpcId")
    assert recording.exports["vpc_id"] is UNKNOWN
    assert recording.one("Network").outputs == {"vpc_id": UNKNOWN}


def test_a_name_that_the_provider_would_give_is_known_in_a_preview() -> None:
    recording = preview_program(network)
    assert recording.export("bucket").startswith("cache-")
    assert recording.export("group").startswith("group-")
    template = recording.one("LaunchTemplate")
    assert template.inputs["tagSpecifications"][0]["tags"]["role"].startswith("role-")
    assert "name" not in template.inputs


def test_without_preview_every_output_has_a_value() -> None:
    recording = preview_program(network, preview=False)
    vpc = recording.one("Vpc")
    assert str(vpc.id).startswith("vpc-")
    assert str(vpc.outputs["arn"]).endswith(f":vpc/{vpc.id}")
    assert recording.one("Subnet").inputs["vpcId"] == vpc.id
    assert recording.one("Group").inputs["launchTemplate"]["version"] == "1"


def test_two_resources_under_one_urn_are_refused_by_name_and_line() -> None:
    def program() -> None:
        aws.ec2.Vpc("twice", cidr_block="10.0.0.0/16")
        aws.ec2.Vpc("twice", cidr_block="10.1.0.0/16")

    with pytest.raises(
        InputError, match=r"test_sandbox_engine.py:\d+: the URN .*::twice is registered already"
    ):
        preview_program(program)


def test_secrets_stay_secret_in_inputs_and_exports() -> None:
    def program() -> None:
        password = pulumi.Config().require_secret("password")
        bucket = aws.s3.Bucket("bucket", tags={"plain": "p", "password": password})
        pulumi.export("password", password)
        pulumi.export("derived", pulumi.Output.concat("x-", password))
        pulumi.export("nested", bucket.tags)

    recording = preview_program(program, config={"password": "hunter2"}, secrets=["password"])
    bucket = recording.one("Bucket")
    assert bucket.inputs["tags"] == {"plain": "p", "password": Secret("hunter2")}
    assert bucket.is_secret("tags")
    assert recording.exports["derived"] == Secret("x-hunter2")
    assert recording.export("password") == "hunter2"
    assert recording.config == {"project:password": Secret("hunter2")}
    assert "hunter2" not in repr(recording)


def test_outputs_that_the_program_calls_secret_are_secret() -> None:
    def program() -> None:
        opts = ResourceOptions(additional_secret_outputs=["arn"])
        pulumi.export("arn", aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16", opts=opts).arn)

    assert preview_program(program).exports["arn"] == Secret(UNKNOWN)
    made = preview_program(program, preview=False)
    assert isinstance(made.exports["arn"], Secret)
    assert made.export("arn").startswith("arn:aws:ec2:")


def test_the_program_reads_its_configuration_project_stack_and_organization() -> None:
    def program() -> None:
        config = pulumi.Config()
        pulumi.export("object", config.require_object("object"))
        pulumi.export("flag", config.require_bool("flag"))
        pulumi.export("region", pulumi.Config("aws").require("region"))
        pulumi.export("names", [pulumi.get_organization(), pulumi.get_project(), pulumi.get_stack()])
        pulumi.export("preview", pulumi.runtime.is_dry_run())

    recording = preview_program(
        program,
        config={"object": {"a": [1]}, "flag": True, "aws:region": "eu-west-1"},
        project="p",
        stack="s",
        organization="o",
    )
    assert recording.exports == {
        "object": {"a": [1]},
        "flag": True,
        "region": "eu-west-1",
        "names": ["o", "p", "s"],
        "preview": True,
    }


def test_no_run_sees_the_configuration_or_the_resources_of_the_one_before() -> None:
    def reads() -> None:
        pulumi.export("size", pulumi.Config().get("size"))

    assert preview_program(reads, config={"size": "3"}).export("size") == "3"
    second = preview_program(reads)
    assert second.export("size") is None
    assert [resource.type for resource in second.resources] == ["pulumi:pulumi:Stack"]


def test_a_program_runs_from_where_an_event_loop_runs_already() -> None:
    async def inside() -> int:
        return len(preview_program(network).resources)

    assert asyncio.run(inside()) == 8


def test_an_asynchronous_program_is_awaited() -> None:
    async def program() -> None:
        await asyncio.sleep(0)
        aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")

    assert preview_program(program).one("Vpc").name == "vpc"


def test_resources_made_inside_apply_are_recorded() -> None:
    def program() -> None:
        role = aws.iam.Role("role", assume_role_policy="{}")
        role.name.apply(lambda name: aws.s3.Bucket(f"of-{name}"))

    assert preview_program(program).one("Bucket").name.startswith("of-role-")


def test_a_user_error_comes_out_as_itself() -> None:
    error = NothingFitsError("no instance type fits")

    def program() -> None:
        raise error

    with pytest.raises(NothingFitsError) as caught:
        preview_program(program)
    assert caught.value is error


def test_a_user_error_raised_inside_apply_comes_out_as_itself() -> None:
    def refuse(name: str) -> None:
        raise NothingFitsError(name)

    def program() -> None:
        aws.iam.Role("role", assume_role_policy="{}").name.apply(refuse)

    with pytest.raises(NothingFitsError, match="role-"):
        preview_program(program)


def test_any_other_error_comes_with_the_traceback_of_the_program_alone() -> None:
    def program() -> None:
        aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
        {}["missing"]

    with pytest.raises(ProgramError, match=r"KeyError: 'missing'") as caught:
        preview_program(program)
    assert isinstance(caught.value.__cause__, KeyError)
    assert '{}["missing"]' in str(caught.value)
    assert "asyncio" not in str(caught.value)


def test_a_program_that_stops_with_its_own_message_shows_no_traceback() -> None:
    def program() -> None:
        raise pulumi.RunError("set the region first")

    with pytest.raises(ProgramError) as caught:
        preview_program(program)
    assert str(caught.value).endswith("program stopped: set the region first")


def test_an_engine_that_failed_once_runs_the_next_program() -> None:
    def program() -> None:
        raise ValueError("once")

    with pytest.raises(ProgramError):
        preview_program(program)
    assert preview_program(network).one("Vpc")


def test_a_program_that_exits_with_a_code_fails() -> None:
    def program() -> None:
        sys.exit(3)

    with pytest.raises(ProgramError, match="SystemExit: 3"):
        preview_program(program)


def test_in_a_preview_a_function_of_the_cloud_answers_unknown() -> None:
    def program() -> None:
        zones = aws.get_availability_zones_output(state="available")
        aws.ec2.Subnet("a", vpc_id="vpc-1", availability_zone=zones.names[0])

    recording = preview_program(program)
    assert recording.one("Subnet").inputs["availabilityZone"] is UNKNOWN
    (call,) = recording.invocations
    assert (call.token, call.args, call.answered) == (
        "aws:index/getAvailabilityZones:getAvailabilityZones",
        {"state": "available"},
        False,
    )


def test_a_supplied_answer_is_what_the_function_returns() -> None:
    def program() -> None:
        zones = aws.get_availability_zones()
        image = aws.ssm.get_parameter_output(name="/image")
        aws.ec2.Instance("i", availability_zone=zones.names[1], ami=image.value)

    answers = {
        "aws:index/getAvailabilityZones:getAvailabilityZones": {"id": "z", "names": ["z-a", "z-b"]},
        "aws:ssm/getParameter:getParameter": lambda args: {"value": f"ami of {args['name']}"},
    }
    instance = preview_program(program, answers=answers).one("Instance")
    assert instance.inputs == {"ami": "ami of /image", "availabilityZone": "z-b"}


def test_a_plain_call_without_an_answer_is_told_with_its_token() -> None:
    def program() -> None:
        pulumi.export("zone", aws.get_availability_zones().names[0])

    with pytest.raises(ProgramError, match="getAvailabilityZones:getAvailabilityZones, which only the cloud"):
        preview_program(program)


def test_an_answer_waits_for_what_it_depends_on() -> None:
    def program() -> None:
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
        found = aws.ec2.get_vpc_output(id="vpc-1", opts=pulumi.InvokeOutputOptions(depends_on=[vpc]))
        pulumi.export("cidr", found.cidr_block)

    answers = {"aws:ec2/getVpc:getVpc": {"cidrBlock": "10.9.0.0/16"}}
    assert preview_program(program, answers=answers).exports["cidr"] is UNKNOWN


def test_a_lookup_is_recorded_as_external_and_answered_by_type() -> None:
    def program() -> None:
        vpc = aws.ec2.Vpc.get("found", "vpc-1")
        pulumi.export("id", vpc.id)
        pulumi.export("cidr", vpc.cidr_block)
        pulumi.export("arn", vpc.arn)

    recording = preview_program(program, answers={"aws:ec2/vpc:Vpc": {"cidrBlock": "10.9.0.0/16"}})
    assert recording.one("Vpc").external
    assert recording.exports == {"id": "vpc-1", "cidr": "10.9.0.0/16", "arn": UNKNOWN}


def test_transforms_change_resources_their_children_first_and_the_stack_last() -> None:
    def tagged(word: str) -> Callable[[pulumi.ResourceTransformArgs], pulumi.ResourceTransformResult | None]:
        def transform(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
            if not args.custom:
                return None
            order = f"{args.props.get('tags', {}).get('order', '')}{word}"
            props = {**args.props, "tags": {"order": order}}
            opts = pulumi.ResourceOptions.merge(
                args.opts, ResourceOptions(protect=True, ignore_changes=["a"])
            )
            return pulumi.ResourceTransformResult(props, opts)

        return transform

    def program() -> None:
        pulumi.runtime.register_resource_transform(tagged("s"))
        parent = pulumi.ComponentResource(
            "demo:index:Parent", "parent", opts=ResourceOptions(transforms=[tagged("p")])
        )
        vpc = aws.ec2.Vpc(
            "vpc", cidr_block="10.0.0.0/16", opts=ResourceOptions(parent=parent, transforms=[tagged("o")])
        )
        pulumi.export("tags", vpc.tags)

    recording = preview_program(program)
    vpc = recording.one("Vpc")
    assert vpc.inputs == {"cidrBlock": "10.0.0.0/16", "tags": {"order": "ops"}}
    assert recording.exports["tags"] == {"order": "ops"}
    assert (vpc.protect, set(vpc.ignore_changes)) == (True, {"a"})


def test_a_transform_may_await_a_resource_that_is_registered_later() -> None:
    def program() -> None:
        later: list[aws.ec2.Vpc] = []

        def transform(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult:
            opts = pulumi.ResourceOptions.merge(args.opts, ResourceOptions(depends_on=later))
            return pulumi.ResourceTransformResult(args.props, opts)

        aws.s3.Bucket("first", opts=ResourceOptions(transforms=[transform]))
        later.append(aws.ec2.Vpc("later", cidr_block="10.0.0.0/16"))

    recording = preview_program(program)
    assert recording.one("Bucket").dependencies == (recording.one("Vpc").urn,)


def test_invoke_transforms_change_the_arguments_of_a_function() -> None:
    def transform(args: pulumi.InvokeTransformArgs) -> pulumi.InvokeTransformResult:
        return pulumi.InvokeTransformResult({**args.args, "state": "available"}, args.opts)

    def program() -> None:
        pulumi.runtime.register_invoke_transform(transform)
        aws.get_availability_zones_output()

    (call,) = preview_program(program).invocations
    assert call.args == {"state": "available"}


def test_programs_for_another_cloud_run_too() -> None:
    import pulumi_gcp as gcp

    def program() -> None:
        bucket = gcp.storage.Bucket("Models", location="EU")
        pulumi.export("name", bucket.name)
        pulumi.export("link", bucket.self_link)

    foreseen, made = preview_program(program), preview_program(program, preview=False)
    assert foreseen.export("name").startswith("models-")
    assert foreseen.exports["link"] is UNKNOWN
    assert made.export("link").startswith("https://www.googleapis.com/")


def test_messages_of_the_program_are_recorded() -> None:
    def program() -> None:
        pulumi.log.warn("careful")
        pulumi.log.debug("noise")

    (log,) = preview_program(program).logs
    assert (log.severity, log.text) == ("warning", "careful")


def test_looking_for_a_resource_that_is_not_there_tells_what_is() -> None:
    recording = preview_program(network)
    with pytest.raises(InputError, match="'net-subnet'"):
        recording.one("Subnet", "other")


def test_a_project_folder_runs_as_pulumi_runs_it(project: Path) -> None:
    before = Path.cwd(), list(sys.path)
    (project / "stacks" / "__main__.py").write_text(
        "import os, pulumi\npulumi.export('cwd', os.getcwd())\npulumi.export('name', __name__)\n"
    )
    recording = preview_stack("dev-aws", cwd=project / "stacks")
    assert recording.exports == {"cwd": os.fspath(project / "stacks"), "name": "__main__"}
    assert (Path.cwd(), sys.path) == before


def test_the_stack_decides_the_configuration(project: Path) -> None:
    development, production = preview_stack(cwd=project), preview_stack("prod-aws", cwd=project)
    assert development.stack == "dev-aws"
    assert (development.export("size"), production.export("size")) == (3, 5)
    assert production.one("Vpc").inputs["cidrBlock"] == "10.1.0.0/16"
    assert production.project == "demo"


def test_modules_beside_one_program_are_not_those_of_the_next(project: Path) -> None:
    assert preview_stack(cwd=project).one("Vpc").name == "vpc"
    (project / "stacks" / "helper.py").write_text('NAME = "other"\n')
    assert preview_stack(cwd=project).one("Vpc").name == "other"
    assert "helper" not in sys.modules


def test_a_project_folder_takes_its_configuration_from_python_too(project: Path) -> None:
    recording = preview_program(project, config={"cidr_block": "10.2.0.0/16"}, stack="test")
    assert (recording.project, recording.stack) == ("demo", "test")
    assert recording.one("Vpc").inputs["cidrBlock"] == "10.2.0.0/16"
    assert recording.export("size") == 3


def test_a_folder_without_a_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no Python program"):
        preview_program(tmp_path)


def test_an_encrypted_value_is_an_unknown_secret_and_that_is_said(project: Path) -> None:
    stack = project / "stacks" / "Pulumi.dev-aws.yaml"
    stack.write_text(stack.read_text() + "  demo:token: {secure: v1:abc:def}\n")
    (project / "stacks" / "__main__.py").write_text(
        "import pulumi\npulumi.export('token', pulumi.Config().require_secret('token'))\n"
    )
    recording = preview_stack(cwd=project)
    assert recording.exports["token"] == Secret(UNKNOWN)
    assert [log.text for log in recording.logs] == [
        "demo:token is encrypted and cannot be read here: the program sees an unknown secret."
    ]
