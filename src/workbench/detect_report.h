#pragma once
// What was detected and examined, for people and for programs.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "workbench/detect.h"
#include "workbench/doctor.h"

namespace fourstep {

/// "0.702 +- 0.004": as many digits as the error allows.
std::string strength_text(const StrengthEstimate& estimate);

/// Verdict in a sentence, the numbers, a table by block of the network. Lines end in \n.
std::string text_of(const Detection& detection);
/// All numbers, those of every module too.
nlohmann::ordered_json json_of(const Detection& detection);

/// One line per finding with its remedy below, and the table of losses by storage type.
std::string text_of(const Examination& examination);
nlohmann::ordered_json json_of(const Examination& examination);
nlohmann::ordered_json json_of(const Finding& finding);
std::string text_of(const Finding& finding);

}  // namespace fourstep
