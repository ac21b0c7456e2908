#pragma once
// What the global names in a PyTorch pickle stand for. Part of pickle_machine: see there.

#include <span>
#include <string>
#include <vector>

#include "io/pickle_machine.h"

namespace fourstep {

/// Throws Error naming `module` and `name` unless torch.save writes this name into checkpoints.
void check_global(const std::string& module, const std::string& name, const std::string& where);

/// What calling the global `function` with `arguments` would construct, as plain data.
/// `_rebuild_parameter` and the like return the value of their tensor argument. Throws Error naming
/// the global when it may not be called or when the arguments are not those that torch.save writes.
PickleValue apply_global(const PickleValue& function, std::span<const PickleValue* const> arguments,
                         const std::string& where);

/// What a persistent id stands for: a storage, or in the container of torch < 1.6 ('module', class,
/// source file, source text) the class; its source is not looked at.
PickleValue resolve_persistent_id(const PickleValue& id, const std::string& where);

/// The storage that a persistent id ('storage', type, key, location, number of elements) refers to.
PickleValue make_storage(const PickleValue& id, const std::string& where);

/// What BUILD does to `target`: the tensor geometry for the state of an old-style tensor, the
/// parameters of a ParameterDict and the like, which becomes a plain dict, nothing for the
/// attributes of an OrderedDict or a value that is not kept. Throws Error for any other value.
void apply_build(PickleValue& target, const PickleValue& state, const std::string& where);

}  // namespace fourstep
