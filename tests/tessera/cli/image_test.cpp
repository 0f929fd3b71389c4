// SPDX-License-Identifier: Apache-2.0
// The tool on models of images, and on folders with everything in them that folders have.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "models/package.hpp"
#include "tessera/pipeline/calibration.hpp"
#include "tests/models/text/json_sections.hpp"
#include "tests/tessera/cli/cli_test.hpp"
#include "tests/tessera/image_directory.hpp"

namespace tessera::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

class ImageCliTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    copy_image_model("vit-model", path("vit"), R"({"size": 32})");
    fs::create_directories(path("photos/b"));
    copy("progressive.jpg", "photos/a.jpg");
    copy("rgba-8.png", "photos/c.png");
    copy("grey.jpg", "photos/b/inner.jpg");
  }
  void copy(const std::string& image, const std::string& to) const {
    fs::create_directories(path(to).parent_path());
    fs::copy_file(image_file(image), path(to));
  }
};

TEST_F(ImageCliTest, EmbedsADirectoryInTheOrderOfItsPaths) {
  const CommandResult all = tessera("embed vit photos --paths paths.txt");
  ASSERT_EQ(all.status, 0) << all.err;
  EXPECT_EQ(all.err, "");
  const auto rows = lines_of(all.out);
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_THAT(rows[0], StartsWith("{\"path\": \"photos/a.jpg\", \"embedding\": ["));
  EXPECT_THAT(rows[1], StartsWith("{\"path\": \"photos/b/inner.jpg\", \"embedding\": ["));
  EXPECT_THAT(rows[2], StartsWith("{\"path\": \"photos/c.png\", \"embedding\": ["));
  EXPECT_EQ(read_file(path("paths.txt")), "photos/a.jpg\nphotos/b/inner.jpg\nphotos/c.png\n");
  const CommandResult one = tessera("embed vit photos/c.png photos/a.jpg");
  EXPECT_EQ(one.out, rows[2] + "\n" + rows[0] + "\n") << "alone, an image gives the same bits";
  EXPECT_EQ(tessera("embed vit photos --threads 1 --loaders 3 --batch-tokens 1").out, all.out);
}

TEST_F(ImageCliTest, WhatStandsInPlaceOfAnImageIsNamed) {
  file("photos/c.png", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n");
  file("photos/a.jpg", "<!DOCTYPE html><html></html>");
  const CommandResult result = tessera("embed vit photos");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("photos/c.png: got a Git LFS pointer"));
  EXPECT_THAT(result.err, HasSubstr("photos/a.jpg: got a web page"));
}

TEST_F(ImageCliTest, WritesNpyAndOtherOutputs) {
  const auto rows = lines_of(tessera("embed vit photos --format text").out);
  ASSERT_EQ(rows.size(), 3U);
  ASSERT_EQ(tessera("embed vit photos --format npy -o out.npy").status, 0);
  const std::string bytes = read_file(path("out.npy"));
  EXPECT_THAT(bytes, HasSubstr("'shape': (3, 48)"));
  for (std::size_t i = 0; i < 3; ++i) {
    const auto values = numbers_of(rows[i]);
    EXPECT_EQ(std::memcmp(values.data(), bytes.data() + 128 + i * 48 * 4, 48 * 4), 0);
  }
  const CommandResult pooled = tessera("embed vit photos --output-name pooler_output");
  EXPECT_EQ(pooled.status, 0) << pooled.err;
  EXPECT_NE(pooled.out, tessera("embed vit photos").out);
  expect_failure(tessera("embed vit photos --output-name nothing"), 1, "got \"nothing\", expected");
  const std::string tokens = "embed vit photos --output-name last_hidden_state";
  const auto vectors = lines_of(tessera(tokens).out),
             both = lines_of(tessera(tokens + ",pooler_output").out);
  ASSERT_EQ(vectors.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(both[i].find(vectors[i].substr(0, vectors[i].size() - 1) + ", \"pooler_output\": ["),
              0U);
  }
  expect_failure(tessera(tokens + " --format text"), 2,
                 "--format text: last_hidden_state has a row per token, expected jsonl");
}

TEST_F(ImageCliTest, FilesThatFailAreNamedAndTheRestIsWritten) {
  const std::string expected = tessera("embed vit photos").out;
  file("photos/0-empty.jpg", "");
  file("photos/notes.txt", "not an image\n");
  file("photos/page.jpg", "<!DOCTYPE html>");
  file("photos/picture.avif", std::string("\0\0\0\x1C"
                                          "ftypavif",
                                          12));
  const std::string jpeg = read_file(path("photos/a.jpg"));
  file("photos/z-cut.jpg", jpeg.substr(0, jpeg.size() / 2));
  fs::create_symlink("nowhere", path("photos/link.jpg"));
  ASSERT_EQ(::mkfifo(path("photos/pipe.jpg").c_str(), 0600), 0);
  const CommandResult result = tessera("embed vit photos");
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.out, expected);
  for (const char* part :
       {"photos/0-empty.jpg: got an empty file", "photos/notes.txt: got a file that begins with",
        "photos/page.jpg: got a web page", "photos/picture.avif: got an AVIF image",
        "photos/z-cut.jpg: JPEG: got", "photos/link.jpg: No such file",
        "photos/pipe.jpg: is no regular file", "7 of 10 inputs gave no result"}) {
    EXPECT_THAT(result.err, HasSubstr(part));
  }
  // A file by -o has what could be computed, too.
  EXPECT_EQ(tessera("embed vit photos -o out.jsonl").status, 1);
  EXPECT_EQ(read_file(path("out.jsonl")), expected);
  EXPECT_TRUE(temporaries().empty());

  const CommandResult skipping = tessera("embed vit photos --skip-others");
  EXPECT_EQ(skipping.out, expected);
  EXPECT_THAT(skipping.err, HasSubstr("note: photos/notes.txt: no image of a known type, skipped"));
  EXPECT_THAT(skipping.err, HasSubstr("4 of 7 inputs gave no result"));
  for (const char* name : {"0-empty.jpg", "link.jpg", "pipe.jpg", "z-cut.jpg"}) {
    fs::remove(path(std::string("photos/") + name));
  }
  EXPECT_EQ(tessera("embed vit photos --skip-others").status, 0) << "others are no failure then";
  EXPECT_EQ(tessera("embed vit photos").status, 1);
}

TEST_F(ImageCliTest, WrongExtensionsAndSeveralPicturesAreImages) {
  copy("grey-8.png", "wrong.jpg");
  copy("animated.png", "animated.png");
  copy("two-pictures.jpg", "two.jpg");
  for (const char* name : {"lossy.webp", "global-8.gif", "rgb-24.bmp", "rgb-lzw.tif"}) {
    copy(name, std::string("others/") + name);
  }
  const CommandResult result =
      tessera("embed vit wrong.jpg animated.png two.jpg others --skip-others");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.err.find("skipped"), std::string::npos) << result.err;
  EXPECT_EQ(lines_of(result.out).size(), 7U);
}

TEST_F(ImageCliTest, NothingToDoIsAnError) {
  fs::create_directories(path("nothing"));
  expect_failure(tessera("embed vit nothing"), 1, "nothing: got a directory without files");
  expect_failure(tessera("embed vit"), 2, "got no files");
  expect_failure(sh("echo x | \"$TESSERA\" embed vit -"), 2, "got '-', expected images");
  const CommandResult all_fail = tessera("embed vit missing.jpg");
  EXPECT_EQ(all_fail.status, 1);
  EXPECT_EQ(all_fail.out, "");
  EXPECT_THAT(all_fail.err, HasSubstr("1 of 1 inputs gave no result"));
}

TEST_F(ImageCliTest, UnreadableFilesAndFoldersAreNamed) {
  if (::geteuid() == 0) GTEST_SKIP() << "root reads everything";
  copy("grey.jpg", "photos/secret.jpg");
  fs::permissions(path("photos/secret.jpg"), fs::perms::none);
  fs::permissions(path("photos/b"), fs::perms::none);
  const CommandResult result = tessera("embed vit photos");
  fs::permissions(path("photos/b"), fs::perms::owner_all);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("photos/secret.jpg: Permission denied"));
  EXPECT_THAT(result.err, HasSubstr("photos/b: Permission denied"));
  EXPECT_EQ(lines_of(result.out).size(), 2U);
}

TEST_F(ImageCliTest, LimitsAreConfigurable) {
  const CommandResult result = tessera("embed vit photos/a.jpg --max-pixels 246");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("19 x 13 pixels, expected at most 65500 on a side and 246"));
  EXPECT_EQ(tessera("embed vit photos/a.jpg --max-pixels 247").status, 0);
}

TEST_F(ImageCliTest, ClassifiesImages) {
  copy_image_model("vit-imgcls", path("classifier"), R"({"size": {"height": 28, "width": 28}})");
  const CommandResult text = tessera("classify classifier photos --top-k 2");
  ASSERT_EQ(text.status, 0) << text.err;
  const auto lines = lines_of(text.out);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_THAT(lines[1],
              testing::MatchesRegex("photos/b/inner.jpg\tL[0-9]\t0\\.[0-9]+\tL[0-9]\t0\\.[0-9]+"));
  const CommandResult json = tessera("classify classifier photos/a.jpg missing --format jsonl");
  EXPECT_EQ(json.status, 1);
  EXPECT_THAT(json.out, StartsWith("{\"path\": \"photos/a.jpg\", \"labels\": [{\"label\": \"L"));
  EXPECT_EQ(lines_of(json.out).size(), 1U);
  expect_failure(tessera("classify vit photos"), 1, "has no labels");
}

TEST_F(ImageCliTest, ComparesTextsWithImages) {
  copy_image_model("clip-full", path("clip"), R"({"size": 24, "crop_size": 24})");
  const std::string flags = " --image photos --ids --text '0 5 6 1' '0 7 1' '0,9,8,3,1'";
  const CommandResult text = tessera("similar clip" + flags);
  ASSERT_EQ(text.status, 0) << text.err;
  const auto lines = lines_of(text.out);
  ASSERT_EQ(lines.size(), 9U) << "three texts for each of three images";
  double sum = 0, last = 1;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_THAT(lines[i], StartsWith("photos/a.jpg\t0"));
    const double p = std::stod(lines[i].substr(lines[i].rfind('\t')));
    EXPECT_LE(p, last) << "the best comes first";
    last = p, sum += p;
  }
  EXPECT_NEAR(sum, 1.0, 2e-6);  // three roundings to 1e-6
  const CommandResult json = tessera("similar clip --format jsonl" + flags);
  EXPECT_THAT(json.out, StartsWith("{\"path\": \"photos/a.jpg\", \"texts\": [{\"text\": \"0"));

  // As sentence-transformers keeps it: embeddings are as projected, and compared as before.
  copy_image_model("clip-full", path("st/0_CLIPModel"), R"({"size": 24, "crop_size": 24})");
  file("st/modules.json",
       R"([{"path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}])");
  EXPECT_EQ(tessera("similar st" + flags).out, text.out);
  EXPECT_NE(tessera("embed st photos/a.jpg").out, tessera("embed clip photos/a.jpg").out);

  copy_image_model("siglip-full", path("siglip"), R"({"size": {"height": 24, "width": 24}})");
  const CommandResult pair = tessera("similar siglip --image photos/a.jpg --ids --text '5 1' '7'");
  EXPECT_EQ(pair.status, 0) << pair.err;
  EXPECT_EQ(lines_of(pair.out).size(), 2U);
  write_file(path("siglip/tokenizer.json"), text::JsonSections{}.text());
  const std::string compare = "similar siglip --image photos/a.jpg --text ";
  EXPECT_EQ(tessera(compare + "hello").err, "");
  std::string many = "hello", ids = "2 5 3";
  for (int i = 0; i < 20; ++i) many += " world";
  for (int i = 0; i < 13; ++i) ids += " 1";
  EXPECT_EQ(tessera(compare + "'" + many + "'").err,
            "tessera similar: 1 of 1 texts were cut to 16 tokens (position table)\n");
  const auto numbers = [](const CommandResult& result) {
    return result.out.substr(result.out.find('\t', result.out.find('\t') + 1));
  };
  EXPECT_EQ(numbers(tessera(compare + "hello")), numbers(tessera(compare + "'" + ids + "' --ids")))
      << "padded";
  expect_failure(tessera("similar vit --image photos --ids --text 1"), 1, "compares no texts");
  expect_failure(tessera("similar clip --image photos --text cat"), 1, "--ids");
  expect_failure(tessera("similar clip --image photos --ids --text '0 x'"), 1, "--text 1: ");
  EXPECT_EQ(tessera("similar clip --image photos").status, 2);
}

TEST_F(ImageCliTest, EitherTowerIsEmbeddedDescribedAndPlanned) {
  copy_image_model("siglip-full", path("siglip"), R"({"size": {"height": 24, "width": 24}})");
  write_file(path("siglip/tokenizer.json"), text::JsonSections{}.text());
  write_file(path("texts.txt"), "hello world\nworld\n");
  const CommandResult vectors = tessera("embed siglip texts.txt --tower text --format text");
  ASSERT_EQ(vectors.status, 0) << vectors.err;
  models::PackageOptions options;
  options.tower = models::Tower::text;
  const auto text =
      std::make_shared<const models::Package>(models::open_package(path("siglip"), options));
  const std::filesystem::path texts = path("texts.txt");
  const auto rows = main_rows(text, calibration_inputs(*text, {&texts, 1}), PrecisionOption::fp32);
  ASSERT_EQ(rows.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const std::vector<float> printed = numbers_of(lines_of(vectors.out)[i]);
    ASSERT_EQ(printed.size(), rows[i].size());
    for (std::size_t k = 0; k < printed.size(); ++k) EXPECT_NEAR(printed[k], rows[i][k], 1e-6);
  }
  EXPECT_EQ(tessera("embed siglip photos --tower image").out, tessera("embed siglip photos").out);

  EXPECT_THAT(tessera("info siglip").out, HasSubstr("tower                       image\n"));
  const CommandResult info = tessera("info siglip --tower text");
  EXPECT_THAT(info.out, HasSubstr("tower                       text\n"));
  EXPECT_THAT(info.out, HasSubstr("vocabulary "));
  EXPECT_THAT(tessera("plan siglip --tower text --rows 32").out, HasSubstr("embedding "));
  EXPECT_EQ(tessera("profile siglip --tower text --rows 16 --against bf16").status, 0);
  EXPECT_EQ(tessera("report siglip --tower text --rows 16 --runs 1 -o page.html").status, 0);
  expect_failure(tessera("embed vit photos --tower image"), 2, "which has no two towers");
  expect_failure(tessera("embed siglip photos --tower both"), 2, "--tower");
}

TEST_F(ImageCliTest, AnInputIsNeverTheOutput) {
  const std::string before = read_file(path("photos/a.jpg"));
  expect_failure(tessera("embed vit photos -o photos/a.jpg"), 2,
                 "-o photos/a.jpg: is the input photos/a.jpg, expected another file");
  expect_failure(tessera("embed vit photos -o out.txt --paths photos/b/inner.jpg"), 2,
                 "--paths photos/b/inner.jpg: is the input photos/b/inner.jpg");
  expect_failure(tessera("embed vit photos -o out.txt --paths ./out.txt"), 2,
                 "--paths ./out.txt: is the file of -o out.txt, expected another");
  EXPECT_EQ(read_file(path("photos/a.jpg")), before);
  // What is in the folder and no image that is read may be written again.
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(tessera("embed vit photos --skip-others -o photos/vectors.npy").status, 0) << i;
  }
}

TEST_F(ImageCliTest, FlagsOfTheOtherKindAreRefused) {
  expect_failure(tessera("embed vit photos --jsonl"), 2, "--jsonl: applies to texts");
  expect_failure(tessera("embed vit photos --prompt x"), 2, "--prompt: applies to texts");
  expect_failure(tessera("embed vit photos --with-text"), 2, "--with-text: applies to texts");
  expect_failure(tessera("embed model /dev/null --skip-others"), 2, "applies to images");
  expect_failure(tessera("embed model /dev/null --paths x"), 2, "applies to images");
  expect_failure(tessera("embed vit photos --max-pixels 0"), 2, "--max-pixels");
}

TEST_F(ImageCliTest, StatsSayWhereTheTimeWent) {
  const CommandResult result = tessera("embed vit photos --stats -o out.jsonl");
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.err, HasSubstr("3 images in "));
  EXPECT_THAT(result.err, HasSubstr("outside the encoder "));
  EXPECT_THAT(result.err, HasSubstr(" ms of CPU an image: read "));
}

TEST_F(ImageCliTest, WithoutPreprocessorSettingsThereIsNoWay) {
  fs::remove(path("vit/preprocessor_config.json"));
  expect_failure(tessera("embed vit photos"), 1, "preprocessor_config.json: no such file");
  file("vit/preprocessor_config.json", "{\"size\": {\"longest_edge\": 3}}");
  expect_failure(tessera("embed vit photos"), 1, "size is {\"longest_edge\":3}");
}

}  // namespace
}  // namespace tessera::test
