#pragma once
// Precompiled for every test program: what src/ precompiles, and the two large headers that tests
// add.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/pch.h"
