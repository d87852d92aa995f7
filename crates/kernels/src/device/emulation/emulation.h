// Runs the kernels on the host, to check their numbers where there is no device: a thread of the
// host for each of a block, blocks in turn, barriers for what a warp does together.
#include <barrier>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

typedef unsigned int uint;
struct Index {
  uint x;
};
static thread_local Index threadIdx, blockIdx;
static Index blockDim;

struct Warp {
  std::barrier<> together{32};
  float values[32];
};
static std::vector<std::unique_ptr<Warp>> warps;

static Warp& my_warp() { return *warps[threadIdx.x / 32]; }
static void sync_warp() { my_warp().together.arrive_and_wait(); }
// The value of the lane whose number differs in `lane`.
static float exchange(float x, uint lane) {
  Warp& warp = my_warp();
  warp.values[threadIdx.x % 32] = x;
  sync_warp();
  float other = warp.values[threadIdx.x % 32 ^ lane];
  sync_warp();
  return other;
}

// A launch: buffers (inputs, then outputs) and numbers, in the order of a kernel's parameters.
struct Launch {
  uint blocks, threads;
  std::vector<std::vector<float>> buffers;
  std::vector<uint> numbers;
};
struct Cursor {
  Launch& launch;
  size_t buffer = 0, number = 0;
  template <class T>
  T next() {
    if constexpr (std::is_pointer_v<T>) return launch.buffers.at(buffer++).data();
    // After a launch's numbers come, in Metal, the places of the thread.
    else if (number >= launch.numbers.size()) {
      uint places[] = {blockIdx.x, threadIdx.x, blockDim.x};
      return (T)places[number++ - launch.numbers.size()];
    } else
      return std::bit_cast<T>(launch.numbers[number++]);
  }
};
template <class... A>
static std::function<void(Launch&)> kernel_of(void (*f)(A...)) {
  return [f](Launch& launch) {
    Cursor at{launch};
    std::tuple<std::decay_t<A>...> args{at.next<std::decay_t<A>>()...};
    std::apply(f, args);
  };
}

template <class T>
static T read() {
  T value;
  if (fread(&value, sizeof value, 1, stdin) != 1) exit(2);
  return value;
}

// From the standard input one launch, to the standard output its buffers.
static int run(const std::map<std::string, std::function<void(Launch&)>>& kernels) {
  std::string name(read<uint>(), 0);
  for (char& c : name) c = read<char>();
  Launch launch;
  launch.blocks = read<uint>();
  launch.threads = read<uint>();
  launch.buffers.resize(read<uint>());
  for (auto& buffer : launch.buffers) {
    buffer.resize(read<uint>());
    for (float& x : buffer) x = read<float>();
  }
  launch.numbers.resize(read<uint>());
  for (uint& x : launch.numbers) x = read<uint>();
  auto kernel = kernels.at(name);
  blockDim.x = launch.threads;
  for (uint i = 0; i < launch.threads / 32; i++) warps.push_back(std::make_unique<Warp>());
  std::barrier block(launch.threads);
  std::vector<std::thread> threads;
  for (uint t = 0; t < launch.threads; t++)
    threads.emplace_back([&, t] {
      threadIdx.x = t;
      for (uint b = 0; b < launch.blocks; b++) {
        blockIdx.x = b;
        kernel(launch);
        block.arrive_and_wait();
      }
    });
  for (auto& t : threads) t.join();
  for (auto& buffer : launch.buffers) fwrite(buffer.data(), sizeof(float), buffer.size(), stdout);
  return 0;
}
