#pragma once

// version.h - the version of the SDK, by semver.org: what these headers promise, and the form of
// envelopes, change incompatibly with the first number only (while it is 0, with the second).
//
// Source: mpi-tasks/sdk.cmake reads the numbers here, for CMake's and pkg-config's files.

// Macros, so that programs may choose by them with #if.
#define LEAT_SDK_VERSION_MAJOR 0
#define LEAT_SDK_VERSION_MINOR 1
#define LEAT_SDK_VERSION_PATCH 0
