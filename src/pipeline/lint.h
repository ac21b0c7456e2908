#pragma once
// What is asked for and cannot come out well, or has no effect, said in words before time is spent on it.
// Nothing is refused or changed here: people may know better.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/sampling_plan.h"
#include "request/resolve.h"

namespace fourstep {

struct LintFinding {
  std::string
      code;  ///< for programs, for instance "cfg-burns"; stays the same when the words change
  std::string sentence;  ///< what is wrong, with the numbers
  std::string remedy;    ///< what to do instead

  bool operator==(const LintFinding&) const = default;
};

/// Everything the rules look at; all members must outlive it.
struct LintSubject {
  const Request& asked;            ///< as the user wrote it
  const ResolvedRequest& request;  ///< the same, resolved
  const ModelTraits& traits;
  const SamplingPlan& plan;  ///< of `request`
};

/// The findings on a request, at most one of each code, in the order of lint_codes().
std::vector<LintFinding> lint(const LintSubject& subject);

/// All codes there are.
std::vector<std::string_view> lint_codes();

/// "SENTENCE; REMEDY", for one line.
std::string text_of(const LintFinding& finding);

/// A list of objects {code, sentence, remedy}.
nlohmann::ordered_json json_from(const std::vector<LintFinding>& findings);

}  // namespace fourstep
