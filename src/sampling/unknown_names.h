#pragma once
// What to say of a sampler or schedule that is not here: that another program means something by the name, or which
// three names it is most like.

#include <string_view>

namespace fourstep {

/// Throws InvalidRequest. name: one that find_sampler() did not find.
[[noreturn]] void refuse_sampler_name(std::string_view name);

/// Throws InvalidRequest. name: one that find_schedule() did not find.
[[noreturn]] void refuse_schedule_name(std::string_view name);

}  // namespace fourstep
