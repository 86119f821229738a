#pragma once

// strays.h - processes, and memory, that a dead node's tasks left behind.
//
// Tasks die with their warden, but not what they detached. The warden's next life would find it by
// the node's token; a node that is gone has no next life, so its provider looks.

#include <cstddef>
#include <string>
#include <string_view>

namespace leat::pools {

// What an agent's environment says besides what it is given: the node's directory. The warden
// inherits it, so that one whose pid was never written is found too.
inline constexpr std::string_view kDirectoryVariable = "LEAT_NODE_DIRECTORY=";

// Kills every process of ours whose environment names `directory` or carries a run token of the
// node (the token is read from DIR/node.token), until none is found any more (bounded). Returns
// how many kills it took. Reads /proc: milliseconds.
std::size_t kill_strays(const std::string& directory);

// Clears away what ranks of this node's gangs have shared and nobody else has cleared away. Before
// the directory goes: it tells whose that is.
void remove_gang_memory(const std::string& directory);

}  // namespace leat::pools
